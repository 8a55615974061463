-- When two birth dates are one, and what a NIK says of its bearer's.

-- A NIK's own date as YYMMDD; women's days count from 40.
create or replace temp macro nik_birth(nik) as
nik[11:12] || nik[9:10] || printf('%02d', cast(nik[7:8] as int) - case when nik[7] >= '4' then 40 else 0 end);

create or replace temp macro is_nik_of(nik, birth, sex) as coalesce(
    nik[7:12] = printf('%02d', day(birth) + case when sex = 'P' then 40 else 0 end) || strftime(birth, '%m%y'), false
);

-- Years between a NIK's own date and a birth date, the century left open as the number leaves it: 0 to 50.
create or replace temp macro nik_years_off(nik, birth) as least(
    abs(cast(nik[11:12] as int) - year(birth) % 100), 100 - abs(cast(nik[11:12] as int) - year(birth) % 100)
);

create or replace temp macro is_swapped(one, other) as
year(one) = year(other) and month(one) = day(other) and day(one) = month(other);

-- 3 the same day, 2 day and month exchanged or one of day, month and year wrong, 0 another day.
create or replace temp macro birth_agreement(one, other) as
case
    when one is null or other is null then null
    when one = other then 3
    when
        is_swapped(one, other)
        or cast(year(one) = year(other) as int) + cast(month(one) = month(other) as int)
        + cast(day(one) = day(other) as int) = 2 then 2
    else 0
end;

-- Whether a NIK says of its bearer what cannot be a slip at its issue: that they are of another generation (twelve years, the
-- youngest mothers), or of another day and another sex. Such a number is another person's, as a mother's beside her child; null
-- where birth or number is unknown.
create or replace temp macro is_nik_of_another(nik, birth, sex) as
nik_years_off(nik, birth) >= 12
or coalesce(
    (nik[7] >= '4') <> (sex = 'P')
    and cast(nik[11:12] as int) <> year(birth) % 100
    and (nik[9:10] <> strftime(birth, '%m') or cast(nik[7:8] as int) % 40 <> day(birth)),
    false
);
