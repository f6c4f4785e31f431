-- Ends an exchange at all of its meters and purses. A second time, or after its lease has run out, changes
-- nothing.
-- KEYS: four of each meter, two of each purse. ARGV: the exchange's id, how it ends, the tokens that it used, a
-- lease in milliseconds, how many meters, and what it did cost: whole units, and 10^-12 of one.

local lease_ms, meter_count = tonumber(ARGV[4]), tonumber(ARGV[5])
for seat = 1, meter_count do
  local meter = open(seat * 4 - 3)
  close(meter, ARGV[1], ARGV[2], tonumber(ARGV[3]))
  save(meter, lease_ms)
end
for key = meter_count * 4 + 1, #KEYS, 2 do
  local purse = open_purse(key)
  if settle(purse, ARGV[1], amount(ARGV[6], ARGV[7])) then save_purse(purse, lease_ms) end
end
return 1
