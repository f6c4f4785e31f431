-- Microseconds since 1970, by the server's clock: those of nodes differ, this one is everybody's.
local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end
