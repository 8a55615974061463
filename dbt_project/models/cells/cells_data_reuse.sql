-- Whom the smaller of two files shares with the other: for certain, by a link that waits for a decision, or possibly.
with told as (
    select
        case when units_left <= units_right then left_dataset else right_dataset end as dataset,
        case when units_left <= units_right then right_dataset else left_dataset end as other_dataset,
        period_start,
        least(units_left, units_right) as units,
        matched_low as certain,
        matched - matched_low as waiting,
        matched_high - matched as possible
    from {{ ref('dataset_pair') }}
)

select
    dataset,
    other_dataset,
    period_start
    {%- for file, is_measured in [('listed', 'false'), ('measured', 'true')] %}
    {%- for name in ['units', 'certain', 'waiting', 'possible'] %},
    case when (dataset = 'kemenkes/eppgbm') = {{ is_measured }} then {{ name }} else 0 end as {{ name }}_{{ file }}
    {%- endfor %}
    {%- endfor %}
from told
