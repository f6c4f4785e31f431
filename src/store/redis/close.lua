-- Ends an exchange at all of its meters. A second time, or after its lease has run out, changes nothing.
-- KEYS: four of each meter. ARGV: the exchange's id, how it ends, the tokens that it used, a lease in
-- milliseconds.

for at = 1, #KEYS, 4 do
  local meter = open(at)
  close(meter, ARGV[1], ARGV[2], tonumber(ARGV[3]))
  save(meter, tonumber(ARGV[4]))
end
return 1
