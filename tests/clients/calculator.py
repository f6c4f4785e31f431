"""Prices usage records by the configuration alone, in decimals: the other opinion on every charge.

`calculator.py CONFIGURATION RECORDS` prints a line for each record: its cost in units of 10^-12, or `unpriced`.
"""

import json
import sys
from datetime import datetime
from decimal import Decimal, getcontext
from zoneinfo import ZoneInfo

TOKENS = ["input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "output", "reasoning", "audio_out"]
PROMPT = TOKENS[:5]
FEES = {"image": "images", "search": "searches"}
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


def cost(config, record, zone):
    if record["sandbox"]:
        return Decimal(0)
    usage = record["usage"]
    prompt = sum(usage[name] for name in PROMPT)
    rates = rates_of(config, record["plan"], record["model"], record["at"], prompt, zone)
    if rates is None:
        return None
    rates.setdefault("reasoning", rates.get("output"))
    total = rates.get("request", Decimal(0))
    for name in TOKENS:
        if usage[name]:
            if rates.get(name) is None:
                return None
            total += usage[name] * rates[name] / MILLION
    for name, field in FEES.items():
        if usage[field]:
            if name not in rates:
                return None
            total += usage[field] * rates[name]
    return total


def main():
    config = json.load(open(sys.argv[1]))
    zone = ZoneInfo(config["billing"]["time_zone"])
    for line in open(sys.argv[2]):
        amount = cost(config, json.loads(line), zone)
        if amount is None:
            print("unpriced")
            continue
        pico = amount * 10**12
        assert pico == pico.to_integral_value(), f"{line} costs a fraction of 10^-12"
        print(int(pico))


main()
