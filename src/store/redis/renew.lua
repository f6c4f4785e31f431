-- Lets leases run on. KEYS: hash and leases of one meter or purse each. ARGV: the lease in milliseconds,
-- how much longer they are kept, then the exchange's id for each.
-- Returns the ids that are not held there any more.

local now_ms, lost = math.floor(clock() / 1000), {}
local lease_ms, kept_ms = tonumber(ARGV[1]), tonumber(ARGV[1]) + tonumber(ARGV[2])
for at = 1, #KEYS, 2 do
  local id = ARGV[2 + (at + 1) / 2]
  if redis.call('ZSCORE', KEYS[at + 1], id) then
    redis.call('ZADD', KEYS[at + 1], 'XX', now_ms + lease_ms, id)
    for key = at, at + 1 do
      if redis.call('PTTL', KEYS[key]) < kept_ms then redis.call('PEXPIRE', KEYS[key], kept_ms) end
    end
  else
    lost[#lost + 1] = id
  end
end
return lost
