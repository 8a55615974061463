/*
Active participants by the cards they hold. Every count of people or cards, by segment, programme or all together, is a sum of
these rows, and so is every difference of two of them.
*/
select
    period_start,
    kemendagri_code,
    is_resident
    {%- for name in card_set() %},
    {{ name }}
    {%- endfor %},
    cast(sum(persons) as bigint) as persons
from {{ ref('participant_counts') }}
group by
    period_start,
    kemendagri_code,
    is_resident
    {%- for name in card_set() %},
    {{ name }}
    {%- endfor %}
