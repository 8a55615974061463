/*
The first card a person ever held in a segment. Ever means on record: a registration day before the feed began counts, and a
person whose first card has no day has no day here either, only the month in which the feed first shows it. Residence is that
of the registry quarter in effect, else the newest.
*/
with origin as (
    select min(period_start) as first_month from {{ ref('fct_participation') }}
),

cards as (
    select
        person_key,
        segment,
        min(registered_on) as first_registered_on,
        min(case when registered_on is null then period_start end) as first_seen_without_day,
        min(period_start) as first_seen
    from {{ ref('fct_participation') }}
    where is_linked
    group by person_key, segment
),

dated as (
    select
        cards.person_key,
        cards.segment,
        -- A card without a day that was seen before the first dated one leaves the day unknown.
        case when cards.first_seen_without_day is null or cards.first_registered_on < cards.first_seen_without_day
            then cards.first_registered_on end as registered_on,
        case
            when cards.first_seen_without_day is null or cards.first_registered_on < cards.first_seen_without_day
                then {{ month_start('cards.first_registered_on') }}
            -- Shown from the feed's first month on: when it began is not known.
            when cards.first_seen_without_day > origin.first_month then cards.first_seen_without_day
        end as registered_month
    from cards
    cross join origin
)

select
    dated.person_key,
    dated.segment,
    dated.registered_on,
    dated.registered_month,
    coalesce(resident.kemendagri_code, person.kemendagri_code, {{ unplaced_code() }}) as kemendagri_code
from dated
left join {{ ref('registry_in_effect') }} as month on month.month_start = dated.registered_month and month.is_main
left join {{ ref('fct_registry_member') }} as resident
    on resident.person_key = dated.person_key
    and resident.period_start = month.registry_period
    and resident.ranking = month.ranking
    and resident.is_in_scope
left join {{ ref('dim_person') }} as person on person.person_key = dated.person_key and person.is_in_scope
