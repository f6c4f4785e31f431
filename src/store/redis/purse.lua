-- What is spent of one purse and what is reserved, with the meaning of core's `domain::budget`, under two keys:
--   hash    amounts, each in whole units and parts of one (`spent`, `spent_parts`), and each lease's share (`L<id>`)
--   leases  the exchanges in flight, by when their lease runs out in milliseconds
-- The store knows better, later: nothing here has to be right for longer than its nodes take to read it.

local PARTS = 1000000000000 -- of a unit: each number alone is exact
local BEHIND = 5            -- seconds after which the store is believed where it knows of more
local TOLD = 600            -- seconds, at least, of which everything that was told is remembered
local KEPT = 2 * TOLD       -- seconds for which a purse is kept after its last use
local NOTHING = { 0, 0 }

local function amount(units, parts)
  return { number(units), number(parts) }
end

local function plus(a, b)
  local units, parts = a[1] + b[1], a[2] + b[2]
  if parts >= PARTS then units, parts = units + 1, parts - PARTS end
  return { math.min(units, MOST), parts }
end

local function minus(a, b)
  local units, parts = a[1] - b[1], a[2] - b[2]
  if parts < 0 then units, parts = units - 1, parts + PARTS end
  return { units, parts }
end

local function is_less(a, b)
  return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2])
end

-- Reads a purse whose keys begin at `at`. `is_there`: what is spent of it is known.
local function open_purse(at)
  local purse = { hash = KEYS[at], leases = KEYS[at + 1] }
  local read = redis.call('HMGET', purse.hash, 'spent', 'spent_parts', 'reserved', 'reserved_parts',
    'told', 'told_parts', 'before', 'before_parts', 'since', 'behind', 'began', 'round')
  purse.is_there = read[1] and true or false
  purse.spent, purse.reserved = amount(read[1], read[2]), amount(read[3], read[4])
  purse.told, purse.before = amount(read[5], read[6]), amount(read[7], read[8])
  purse.since, purse.behind, purse.began = number(read[9]), number(read[10]), number(read[11])
  purse.round = number(read[12]) -- `reserved` is of the shares of this round
  return purse
end

local function save_purse(purse, lease_ms)
  redis.call('HSET', purse.hash, 'reserved', purse.reserved[1], 'reserved_parts', purse.reserved[2],
    'round', purse.round)
  if purse.is_there then
    redis.call('HSET', purse.hash, 'spent', purse.spent[1], 'spent_parts', purse.spent[2],
      'told', purse.told[1], 'told_parts', purse.told[2],
      'before', purse.before[1], 'before_parts', purse.before[2],
      'since', purse.since, 'behind', purse.behind, 'began', purse.began)
  end
  redis.call('PEXPIRE', purse.hash, lease_ms + KEPT * 1000)
  redis.call('PEXPIRE', purse.leases, lease_ms + KEPT * 1000)
end

-- Holds what is spent against what a node knows of it: `seen` in all, `stored` of that by the store (nil: it
-- was not read lately). What was lost is believed to be missing once it has been for a while, since what the
-- store has may still be on its way to here; and there cannot be more than the store has and what was told.
local function compare(purse, seen, stored)
  if not purse.is_there then
    -- What the node has seen and the store has not is as good as told.
    purse.spent, purse.told, purse.is_there = seen, seen, true
    purse.since, purse.began = now, now
    if stored then purse.told = is_less(seen, stored) and NOTHING or minus(seen, stored) end
  end
  -- Without the store nothing that was told is forgotten.
  if not stored then return end
  if now - purse.since >= TOLD or purse.since > now then
    purse.before, purse.told, purse.since = purse.told, NOTHING, now
  end
  local most = plus(stored, plus(purse.before, purse.told))
  if is_less(most, purse.spent) then purse.spent = most end
  if not is_less(purse.spent, stored) then
    purse.behind = 0
  elseif purse.behind == 0 or purse.behind > now then
    purse.behind = now
  elseif now - purse.behind >= BEHIND then
    -- Another node may have read it earlier: to that one this is told.
    purse.told = plus(purse.told, minus(stored, purse.spent))
    purse.spent, purse.behind = stored, 0
  end
end

-- Reserves for an exchange, once. `how` as at a meter.
local function reserve(purse, id, how, asked, lease_ms)
  local share = 'L' .. id
  redis.call('ZADD', purse.leases, now_ms + lease_ms, id)
  local there = redis.call('HGET', purse.hash, share)
  if there and tonumber(there:match('%d+$')) == purse.round then return end
  purse.reserved = plus(purse.reserved, asked)
  -- What a node admitted by itself, and has ended, before this purse began may be in what it began with: the
  -- store tells it.
  local ago = tonumber(string.match(how, '^%d+$'))
  local counts = not ago or (purse.is_there and purse.began <= now - ago)
  redis.call('HSET', purse.hash, share, string.format('%.0f %.0f %d %.0f', asked[1], asked[2], counts and 1 or 0,
    purse.round))
end

-- Ends a share with what the exchange did cost. Says whether it was still held: a second time changes nothing.
local function settle(purse, id, cost)
  redis.call('ZREM', purse.leases, id)
  local share = redis.call('HGET', purse.hash, 'L' .. id)
  if not share then return false end
  redis.call('HDEL', purse.hash, 'L' .. id)
  local units, parts, counts, round = share:match('^(%d+) (%d+) (%d) (%d+)$')
  local asked = amount(units, parts)
  if tonumber(round) == purse.round then
    purse.reserved = is_less(purse.reserved, asked) and NOTHING or minus(purse.reserved, asked)
  end
  if counts == '1' then
    purse.spent, purse.told = plus(purse.spent, cost), plus(purse.told, cost)
  end
  return true
end

-- Ends the shares that nobody has renewed: their node is gone, and what they did cost is in its journal.
local function prune_purse(purse)
  local out = redis.call('ZRANGEBYSCORE', purse.leases, '-inf', now_ms, 'LIMIT', 0, PRUNED_MAX)
  for _, id in ipairs(out) do settle(purse, id, NOTHING) end
  -- Whatever became of a share: where nothing is in flight nothing is reserved.
  if is_less(NOTHING, purse.reserved) and redis.call('ZCARD', purse.leases) == 0 then
    purse.reserved, purse.round = NOTHING, purse.round + 1
  end
end

local function has_room(purse, allowed, asked)
  if asked[1] == 0 and asked[2] == 0 then return true end
  return not is_less(minus(allowed, plus(purse.spent, purse.reserved)), asked)
end
