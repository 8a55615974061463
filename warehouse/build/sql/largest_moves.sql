-- By measure and level of areas: cells whose figure moved, and the one that moved most, with its counts before and after.
with moved as (
    select
        after.measure,
        after.area_level,
        after.cell,
        before.numerator as numerator_before,
        before.denominator as denominator_before,
        before.percentage as percentage_before,
        before.statistic as statistic_before,
        after.numerator as numerator_after,
        after.denominator as denominator_after,
        after.percentage as percentage_after,
        after.statistic as statistic_after,
        abs(
            coalesce(after.percentage, after.statistic, after.numerator)
            - coalesce(before.percentage, before.statistic, before.numerator)
        ) as distance
    from before
    inner join after on before.key = after.key
    where
        before.numerator is distinct from after.numerator
        or before.denominator is distinct from after.denominator
        or round(before.percentage, 9) is distinct from round(after.percentage, 9)
        or round(before.statistic, 9) is distinct from round(after.statistic, 9)
)

select
    measure,
    area_level,
    count(*) over (partition by measure, area_level) as cells,
    cell,
    numerator_before,
    denominator_before,
    percentage_before,
    statistic_before,
    numerator_after,
    denominator_after,
    percentage_after,
    statistic_after
from moved
qualify row_number() over (partition by measure, area_level order by distance desc nulls last, cell asc) = 1
order by measure, area_level
