// Dates and times: Postgres' text (ISO, UTC) ⇄ its binary counts from 2000-01-01. Pure.

const epochDays = 10_957;
const dayMicros = 86_400_000_000n;
const infinities = { date: 2_147_483_647, timestamp: 9_223_372_036_854_775_807n };

/** `2024-02-29`, `0044-03-15 BC`, `infinity` → days since 2000-01-01. */
export function dateDays(text: string): number {
  if (text === 'infinity') return infinities.date;
  if (text === '-infinity') return -infinities.date - 1;
  const match = /^(\d{4,})-(\d\d)-(\d\d)( BC)?$/.exec(text);
  if (match === null) throw new RangeError('a date');
  const year = match[4] === undefined ? Number(match[1]) : 1 - Number(match[1]);
  return daysOf(year, Number(match[2]), Number(match[3])) - epochDays;
}

export function dateOfDays(days: number): string {
  if (days === infinities.date) return 'infinity';
  if (days === -infinities.date - 1) return '-infinity';
  const { year, month, day } = civil(days + epochDays);
  const text = `${String(year > 0 ? year : 1 - year).padStart(4, '0')}-${two(month)}-${two(day)}`;
  return year > 0 ? text : `${text} BC`;
}

/** `01:02:03.5` → microseconds since midnight. */
export function timeMicros(text: string): bigint {
  const match = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/.exec(text);
  if (match === null) throw new RangeError('a time');
  const seconds = (Number(match[1]) * 60 + Number(match[2])) * 60 + Number(match[3]);
  return BigInt(seconds) * 1_000_000n + BigInt((match[4] ?? '').padEnd(6, '0'));
}

export function timeOfMicros(micros: bigint): string {
  const seconds = Number(micros / 1_000_000n);
  const fraction = micros % 1_000_000n;
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return fraction === 0n ? clock : `${clock}.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`;
}

/** `2024-01-01 10:00:00.5`, without zone → microseconds since 2000-01-01. */
export function timestampMicros(text: string): bigint {
  if (text === 'infinity') return infinities.timestamp;
  if (text === '-infinity') return -infinities.timestamp - 1n;
  const [date = '', time = '', era] = text.split(' ');
  return BigInt(dateDays(era === undefined ? date : `${date} ${era}`)) * dayMicros + timeMicros(time);
}

export function timestampOfMicros(micros: bigint): string {
  if (micros === infinities.timestamp) return 'infinity';
  if (micros === -infinities.timestamp - 1n) return '-infinity';
  let days = micros / dayMicros;
  if (micros < 0n && micros % dayMicros !== 0n) days -= 1n;
  const [date = '', era] = dateOfDays(Number(days)).split(' ');
  const text = `${date} ${timeOfMicros(micros - days * dayMicros)}`;
  return era === undefined ? text : `${text} ${era}`;
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar (Hinnant). */
function daysOf(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yoe = y - era * 400;
  const doy = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146_097 + yoe * 365 + Math.floor(yoe / 4) - Math.floor(yoe / 100) + doy - 719_468;
}

function civil(days: number): { year: number; month: number; day: number } {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const doe = z - era * 146_097;
  const yoe = Math.floor(
    (doe - Math.floor(doe / 1460) + Math.floor(doe / 36_524) - Math.floor(doe / 146_096)) / 365,
  );
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const month = mp < 10 ? mp + 3 : mp - 9;
  return {
    year: yoe + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: doy - Math.floor((153 * mp + 2) / 5) + 1,
  };
}

const two = (value: number): string => String(value).padStart(2, '0');
