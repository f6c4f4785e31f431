-- A node says that it lives. KEYS: the nodes, by when they last said so. ARGV: its name, for how many
-- milliseconds that holds. Returns how many live, and 1 where this one was not known.

local now_ms = math.floor(clock() / 1000)
local lives_ms = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now_ms - lives_ms))
local new = redis.call('ZADD', KEYS[1], now_ms, ARGV[1])
redis.call('PEXPIRE', KEYS[1], lives_ms)
return { redis.call('ZCARD', KEYS[1]), new }
