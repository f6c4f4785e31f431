-- Admits an exchange at all of its meters, or takes nothing of any.
-- KEYS: four of each meter.
-- ARGV: the lease in milliseconds; the exchange's id; `ask`, or to take it whatever the limits say: how many
-- seconds ago it began (`count`), or `place` for its place in flight alone; then five of each meter: requests
-- and tokens a minute, requests a day, in flight (`-`: not limited), and the tokens to reserve.
-- Returns 1 or 0, then ten of each meter: the waits of the four limits in ARGV's order in milliseconds (-1:
-- it admits), and what is used with when it is empty, of requests, tokens and the day.

local lease_ms, id, how = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local FULL_WAIT = 1000
local meters, reply, admitted = {}, { 1 }, true

for seat = 1, #KEYS / 4 do
  local at = 3 + (seat - 1) * 5
  local meter = open(seat * 4 - 3)
  meter.rpm, meter.tpm = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  meter.rpd, meter.places = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  meter.tokens = tonumber(ARGV[at + 5])
  prune(meter)
  local waits = {
    meter.rpm and wait_of(meter, 'r', 1, meter.rpm) or -1,
    meter.tpm and wait_of(meter, 't', meter.tokens, meter.tpm) or -1,
    meter.rpd and wait_of_day(meter, meter.rpd) or -1,
    meter.places and in_flight(meter) >= meter.places and FULL_WAIT or -1,
  }
  for limit = 1, 4 do
    if waits[limit] >= 0 then admitted = false end
    reply[#reply + 1] = waits[limit]
  end
  for _ = 1, 6 do reply[#reply + 1] = 0 end
  meters[seat] = meter
end

-- Puts the exchange into a meter's windows and leases, once.
local function begin(meter)
  local share = 'L' .. id
  if how ~= 'ask' and redis.call('HEXISTS', meter.hash, share) == 1 then return end
  local second, reserved, day = meter.second, meter.tokens, 0
  if how == 'place' then
    reserved = 0
  else
    if how ~= 'ask' then second = now - tonumber(how) end
    add(meter, 'r', second, 1)
    reserved = add(meter, 't', second, meter.tokens)
    if meter.rpd then day = add_to_day(meter) end
  end
  redis.call('HSET', meter.hash, share, string.format('%.0f %.0f %.0f', second, reserved, day))
  redis.call('ZADD', meter.leases, now_ms + lease_ms, id)
  redis.call('PEXPIRE', meter.leases, lease_ms + (MINUTE + 2) * 1000)
  meter.changed = true
end

if admitted or how ~= 'ask' then
  for _, meter in ipairs(meters) do begin(meter) end
else
  reply[1] = 0
end

for seat, meter in ipairs(meters) do
  local at = 1 + (seat - 1) * 10 + 4
  reply[at + 1], reply[at + 2] = meter.r, reset_of(meter, 'r')
  reply[at + 3], reply[at + 4] = meter.t, reset_of(meter, 't')
  if meter.rpd then
    open_day(meter)
    reply[at + 5] = meter.today
    reply[at + 6] = meter.newest > 0 and leaves_in(meter.newest, DAY) or 0
  end
  save(meter, lease_ms)
end
return reply
