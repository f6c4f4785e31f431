-- Admits an exchange at all of its meters and purses, or takes nothing of any.
-- KEYS: four of each meter, two of each purse.
-- ARGV: the lease in milliseconds; the exchange's id; `ask`, or to take it whatever the limits say: how many
-- seconds ago it began, with a `+` where it still runs, or `place` for its place in flight alone; how many
-- meters; the amount to reserve; then five of each meter: requests and tokens a minute, requests a day, in flight (`-`: not limited),
-- and the tokens to reserve; then three amounts of each purse: what is spent as far as the node has seen, what
-- the store has of that (`-`: it was not read lately), and the most that may be spent. An amount is two
-- numbers: whole units, and 10^-12 of one.
-- Returns 1 or 0, then ten of each meter: the waits of the four limits in ARGV's order in milliseconds (-1:
-- it admits), and what is used with when it is empty, of requests, tokens and the day; then 1 of each purse
-- that has room, or 0.

local lease_ms, id, how, meter_count = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local ago = tonumber(string.match(how, '^%d+'))
local asked = amount(ARGV[5], ARGV[6])
local FULL_WAIT = 1000
local meters, purses, reply, admitted = {}, {}, { 1 }, true

for seat = 1, meter_count do
  local at = 6 + (seat - 1) * 5
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

for key = meter_count * 4 + 1, #KEYS, 2 do
  local at = 6 + meter_count * 5 + #purses * 6
  local purse = open_purse(key)
  prune_purse(purse)
  local seen, allowed = amount(ARGV[at + 1], ARGV[at + 2]), amount(ARGV[at + 5], ARGV[at + 6])
  local room = true
  if how == 'ask' then
    compare(purse, seen, ARGV[at + 3] ~= '-' and amount(ARGV[at + 3], ARGV[at + 4]) or nil)
    room = has_room(purse, allowed, asked)
    if not room then admitted = false end
  end
  reply[#reply + 1] = room and 1 or 0
  purses[#purses + 1] = purse
end

-- Puts the exchange into a meter's windows and leases, once.
local function begin(meter)
  local share = 'L' .. id
  -- Also a question may come late, when what was asked has been entered in another way.
  if redis.call('HEXISTS', meter.hash, share) == 1 then return end
  local second, reserved, day = meter.second, meter.tokens, 0
  if how == 'place' then
    reserved = 0
  else
    if ago then second = now - ago end
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
  for _, purse in ipairs(purses) do reserve(purse, id, how, asked, lease_ms) end
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
for _, purse in ipairs(purses) do save_purse(purse, lease_ms) end
return reply
