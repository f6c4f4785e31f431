"""Prices usage records by the configuration alone, in decimals: the other opinion on every charge.

`calculator.py CONFIGURATION RECORDS INVOICES` prints a line for each record: its cost in units of 10^-12, or
`unpriced`; and last, as JSON, the invoices of each plan, one for each of the months that INVOICES names:
`{"zone", "months", "tax"}`.
"""

import json
import sys
from collections import defaultdict
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, getcontext
from zoneinfo import ZoneInfo

TOKENS = ["input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "output", "reasoning", "audio_out"]
PROMPT = TOKENS[:5]
FEES = {"image": "images", "search": "searches", "character": "characters", "second": "seconds"}
MILLION = Decimal(10**6)

getcontext().prec = 60


def instant(text, zone):
    """Milliseconds since 1970, of a time or of a day's beginning."""
    if text is None:
        return None
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone)
    return int(at.timestamp()) * 1000 + at.microsecond // 1000


def stated(rates):
    return {name: Decimal(rate) for name, rate in rates.items() if name not in ("from", "tiers", "above")}


def overrides(plan, model, models):
    """What a plan states of a model: a class before all tokens."""
    whole, single = {}, {}
    for key, rate in plan.get("price_per_1m_tokens", {}).items():
        if key == model:
            whole = {name: Decimal(rate) for name in TOKENS}
        elif key not in models and key.rpartition(":")[0] == model:
            single[key.rpartition(":")[2]] = Decimal(rate)
    return whole | single


def rates_of(config, plan, model, at, prompt, zone):
    price = config["models"][model]["price"]
    periods = price if isinstance(price, list) else [price]
    begun = [(instant(period.get("from"), zone), period) for period in periods]
    begun = [(start, period) for start, period in begun if start is None or start <= at]
    if not begun:
        return None
    _, period = max(begun, key=lambda one: float("-inf") if one[0] is None else one[0])
    rates = stated(period)
    crossed = [tier for tier in period.get("tiers", []) if prompt > tier["above"]]
    if crossed:
        rates |= stated(max(crossed, key=lambda tier: tier["above"]))
    return rates | overrides(config["plans"][plan], model, config["models"])


def parts(config, record, zone):
    """What each class costs: its count and its amount. None: there is no price."""
    if record["sandbox"]:
        return {}
    usage = record["usage"]
    prompt = sum(usage[name] for name in PROMPT)
    rates = rates_of(config, record["plan"], record["model"], record["at"], prompt, zone)
    if rates is None:
        return None
    rates.setdefault("reasoning", rates.get("output"))
    found = {"request": (1, rates["request"])} if "request" in rates else {}
    for name in TOKENS:
        if usage[name]:
            if rates.get(name) is None:
                return None
            found[name] = (usage[name], usage[name] * rates[name] / MILLION)
    for name, field in FEES.items():
        if usage[field]:
            if name not in rates:
                return None
            found[name] = (usage[field], usage[field] * rates[name])
    return found


def pico(amount):
    scaled = amount * 10**12
    assert scaled == scaled.to_integral_value(), f"{amount} has a fraction of 10^-12"
    return int(scaled)


def rounded(amount):
    """To a hundredth, half away from zero."""
    return amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


class Ledger:
    """What was charged, by plan, and then by month, model and class."""

    def __init__(self, wanted):
        self.zone, self.months, self.tax = ZoneInfo(wanted["zone"]), wanted["months"], Decimal(wanted["tax"])
        self.sums = defaultdict(lambda: defaultdict(lambda: [0, Decimal(0)]))

    def add(self, record, found):
        # Nothing that costs nothing is charged.
        if not sum(amount for _, amount in found.values()):
            return
        at = datetime.fromtimestamp(record["at"] / 1000, UTC).astimezone(self.zone)
        for name, (count, amount) in found.items():
            place = self.sums[record["plan"]][(f"{at:%Y-%m}", record["model"], name)]
            place[0] += count
            place[1] += amount

    def invoices(self, plan):
        """Each has what is in none before it."""
        done = ""
        for month in self.months:
            due = [(place, *sums) for place, sums in self.sums[plan].items() if done < place[0] <= month]
            done = month
            # As texts: there are amounts that not every reader of JSON takes for a number.
            lines = [[*place, count, str(pico(amount)), str(pico(rounded(amount)))] for place, count, amount in due]
            subtotal = sum((rounded(amount) for _, _, amount in due), Decimal(0))
            tax = rounded(subtotal * self.tax / 100)
            yield {"month": month, "lines": sorted(lines), "subtotal": str(pico(subtotal)), "tax": str(pico(tax))}


def main():
    config = json.load(open(sys.argv[1]))
    zone = ZoneInfo(config["billing"]["time_zone"])
    ledger = Ledger(json.load(open(sys.argv[3])))
    for line in open(sys.argv[2]):
        record = json.loads(line)
        found = parts(config, record, zone)
        if found is None:
            print("unpriced")
            continue
        ledger.add(record, found)
        print(pico(sum((amount for _, amount in found.values()), Decimal(0))))
    print(json.dumps({plan: list(ledger.invoices(plan)) for plan in ledger.sums}))


main()
