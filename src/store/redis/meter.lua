-- One scope's counters, with the meaning of core's `domain::limit`, under four keys:
--   hash    totals, what came by the second (`r<second>` `t<second>`), and each lease's share (`L<id>`)
--   days    requests by the second of a day, and their sum under `today`; only while they are limited
--   order   the seconds of `days`, rising
--   leases  the exchanges in flight, by when their lease runs out in milliseconds
-- Numbers are exact up to MOST. Every loop is bounded by a window's seconds or by a MAX.

local MINUTE, DAY = 60, 86400
local MOST = 9007199254740991
local PRUNED_MAX = 100  -- leases that one call finds run out
local CHUNK = 500       -- seconds of a day that are read at once
local LOOKED_MAX = 1000 -- seconds of a day that a refusal looks through for its wait

local now_us = clock()
local now = math.floor(now_us / 1000000)
local now_ms = math.floor(now_us / 1000)

local function number(text)
  return text and tonumber(text) or 0
end

-- Milliseconds until `second` is wholly older than `span` seconds.
local function leaves_in(second, span)
  return math.max(0, math.ceil(((second + span + 1) * 1000000 - now_us) / 1000))
end

-- Lets go of what came in the minute's seconds `from` to `to`.
local function drop(meter, from, to)
  if to < from then return end
  local fields = {}
  for second = from, to do
    fields[#fields + 1] = 'r' .. second
    fields[#fields + 1] = 't' .. second
  end
  local amounts = redis.call('HMGET', meter.hash, unpack(fields))
  for at = 1, #amounts, 2 do
    meter.r = math.max(0, meter.r - number(amounts[at]))
    meter.t = math.max(0, meter.t - number(amounts[at + 1]))
  end
  redis.call('HDEL', meter.hash, unpack(fields))
  meter.changed = true
end

-- Reads a meter whose keys begin at `at`, as it is now.
local function open(at)
  local meter = { hash = KEYS[at], days = KEYS[at + 1], order = KEYS[at + 2], leases = KEYS[at + 3] }
  local read = redis.call('HMGET', meter.hash, 'first', 'last', 'r', 't', 'last_r', 'last_t')
  meter.first, meter.last = number(read[1]), number(read[2])
  meter.r, meter.t = number(read[3]), number(read[4])
  meter.last_r, meter.last_t = number(read[5]), number(read[6])
  if meter.last == 0 then
    meter.first, meter.last = now - MINUTE, now
  elseif meter.last > now + MINUTE then
    -- The server's clock was set back by more than the window: it begins anew.
    drop(meter, meter.first, meter.last)
    meter.first, meter.last, meter.r, meter.t = now - MINUTE, now, 0, 0
  elseif meter.first < now - MINUTE then
    drop(meter, meter.first, math.min(meter.last, now - MINUTE - 1))
    meter.first = now - MINUTE
  end
  -- A clock that was set back by less counts in the last second: longer than it must, never shorter.
  meter.second = math.max(now, meter.last)
  return meter
end

-- Writes what has changed, and keeps the meter for as long as a lease or its windows may need it.
local function save(meter, lease_ms)
  if not meter.changed then return end
  redis.call('HSET', meter.hash, 'first', meter.first, 'last', math.max(meter.last, meter.first),
    'r', meter.r, 't', meter.t, 'last_r', meter.last_r, 'last_t', meter.last_t)
  redis.call('PEXPIRE', meter.hash, lease_ms + (MINUTE + 2) * 1000)
end

-- Counts `amount` of requests (`r`) or tokens (`t`) in `second`; returns what fitted in the sum.
local function add(meter, kind, second, amount)
  amount = math.min(amount, MOST - meter[kind])
  if amount <= 0 or second < meter.first then return amount end
  redis.call('HINCRBY', meter.hash, kind .. second, amount)
  meter[kind] = meter[kind] + amount
  meter.last = math.max(meter.last, second)
  meter['last_' .. kind] = math.max(meter['last_' .. kind], second)
  meter.changed = true
  return amount
end

-- Gives back up to `amount` of what came in `second`; nothing once that has left the window.
local function give_back(meter, kind, second, amount)
  if second < meter.first then return end
  local there = number(redis.call('HGET', meter.hash, kind .. second))
  local back = math.min(amount, there, meter[kind])
  if back <= 0 then return end
  redis.call('HINCRBY', meter.hash, kind .. second, -back)
  meter[kind] = meter[kind] - back
  meter.changed = true
  local last = 'last_' .. kind
  if back == there and meter[last] == second then
    repeat
      meter[last] = meter[last] - 1
    until meter[last] < meter.first or number(redis.call('HGET', meter.hash, kind .. meter[last])) > 0
  end
end

-- Milliseconds until `amount` more fits within `limit`; -1: it fits now.
local function wait_of(meter, kind, amount, limit)
  local over = meter[kind] + amount - limit
  if over <= 0 then return -1 end
  if meter.last < meter.first then return MINUTE * 1000 end
  local fields, left = {}, 0
  for second = meter.first, meter.last do fields[#fields + 1] = kind .. second end
  for at, came in ipairs(redis.call('HMGET', meter.hash, unpack(fields))) do
    left = left + number(came)
    if left >= over then return leaves_in(meter.first + at - 1, MINUTE) end
  end
  return MINUTE * 1000
end

-- Milliseconds until no more of `kind` is in the minute.
local function reset_of(meter, kind)
  if meter[kind] == 0 then return 0 end
  return leaves_in(meter['last_' .. kind], MINUTE)
end

-- Reads the day's sum, without what has left it.
local function open_day(meter)
  if meter.today then return end
  meter.today = number(redis.call('HGET', meter.days, 'today'))
  while true do
    local seconds = redis.call('LRANGE', meter.order, 0, CHUNK - 1)
    local out = 0
    while out < #seconds and tonumber(seconds[out + 1]) + DAY < now do out = out + 1 end
    if out > 0 then
      local gone = { unpack(seconds, 1, out) }
      for _, came in ipairs(redis.call('HMGET', meter.days, unpack(gone))) do
        meter.today = math.max(0, meter.today - number(came))
      end
      redis.call('HDEL', meter.days, unpack(gone))
      redis.call('LTRIM', meter.order, out, -1)
      redis.call('HSET', meter.days, 'today', meter.today)
    end
    if #seconds == 0 and meter.today > 0 then
      -- The order was evicted, and nothing of the sum would ever leave.
      redis.call('DEL', meter.days)
      meter.today = 0
    end
    if out < CHUNK then break end
  end
  meter.newest = number(redis.call('LINDEX', meter.order, -1))
  if meter.newest > now + DAY then
    redis.call('DEL', meter.days, meter.order)
    meter.today, meter.newest = 0, 0
  end
end

-- Counts a request in the day; returns in which second.
local function add_to_day(meter)
  open_day(meter)
  local second = math.max(now, meter.newest)
  if second > meter.newest then redis.call('RPUSH', meter.order, second) end
  redis.call('HINCRBY', meter.days, second, 1)
  meter.newest, meter.today = second, meter.today + 1
  redis.call('HSET', meter.days, 'today', meter.today)
  redis.call('PEXPIRE', meter.days, (DAY + 2) * 1000)
  redis.call('PEXPIRE', meter.order, (DAY + 2) * 1000)
  return second
end

local function give_back_day(meter, second)
  open_day(meter)
  if number(redis.call('HGET', meter.days, second)) == 0 then return end
  local left = redis.call('HINCRBY', meter.days, second, -1)
  meter.today = math.max(0, meter.today - 1)
  redis.call('HSET', meter.days, 'today', meter.today)
  while left == 0 and second == meter.newest do
    redis.call('RPOP', meter.order)
    redis.call('HDEL', meter.days, second)
    meter.newest = number(redis.call('LINDEX', meter.order, -1))
    second = meter.newest
    left = second > 0 and number(redis.call('HGET', meter.days, second)) or 1
  end
end

-- Milliseconds until one more request fits within `limit` a day; -1: it fits now. A lower bound where
-- that is further away than LOOKED_MAX seconds that were used.
local function wait_of_day(meter, limit)
  open_day(meter)
  local over = meter.today + 1 - limit
  if over <= 0 then return -1 end
  local left, last = 0, nil
  for from = 0, LOOKED_MAX - 1, CHUNK do
    local seconds = redis.call('LRANGE', meter.order, from, from + CHUNK - 1)
    if #seconds == 0 then return DAY * 1000 end
    for at, came in ipairs(redis.call('HMGET', meter.days, unpack(seconds))) do
      left, last = left + number(came), tonumber(seconds[at])
      if left >= over then return leaves_in(last, DAY) end
    end
    if #seconds < CHUNK then return DAY * 1000 end
  end
  return leaves_in(last, DAY)
end

-- Ends a lease, if it is still held: `settle` with the tokens that were used, `release` with none,
-- `unsent` as if it had never been, `abandon` with what was reserved. A second time changes nothing.
local function close(meter, id, how, tokens)
  redis.call('ZREM', meter.leases, id)
  local share = redis.call('HGET', meter.hash, 'L' .. id)
  if not share then return end
  redis.call('HDEL', meter.hash, 'L' .. id)
  local second, reserved, day = share:match('^(%d+) (%d+) (%d+)$')
  second, reserved, day = tonumber(second), tonumber(reserved), tonumber(day)
  if how == 'settle' and tokens >= reserved then
    -- Also beyond the limit: what comes later waits for it.
    add(meter, 't', meter.second, tokens - reserved)
  elseif how == 'settle' then
    give_back(meter, 't', second, reserved - tokens)
  elseif how ~= 'abandon' then
    give_back(meter, 't', second, reserved)
  end
  if how == 'unsent' then
    give_back(meter, 'r', second, 1)
    if day > 0 then give_back_day(meter, day) end
  end
end

-- Ends the leases that nobody has renewed: their node is gone.
local function prune(meter)
  local out = redis.call('ZRANGEBYSCORE', meter.leases, '-inf', now_ms, 'LIMIT', 0, PRUNED_MAX)
  for _, id in ipairs(out) do close(meter, id, 'release', 0) end
end

local function in_flight(meter)
  return redis.call('ZCOUNT', meter.leases, '(' .. string.format('%.0f', now_ms), '+inf')
end
