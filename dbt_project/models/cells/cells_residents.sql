/*
Residents in scope by what a denominator asks of them. Persons and families by rank have tables of their own, and so have the
workers of a month that the participants' feed knows; workers stand here for quarters without such a month.
*/
with residents as (
    select
        member.*,
        coalesce(age_years between 15 and 64, false) as is_15_64,
        case when age_years between 15 and 64 and is_working then worker_segment end as working_as
    from {{ ref('fct_registry_member') }} as member
    where is_in_scope and {{ is_no_second_rank('ranking') }}
)

select
    period_start,
    ranking,
    kemendagri_code,
    {%- for name, condition in [
        ('bpu_workers', "working_as = 'BPU'"),
        ('pu_workers', "working_as = 'PU'"),
        ('others', "coalesce(working_as, '') not in ('BPU', 'PU')"),
        ('others_15_64', "is_15_64 and coalesce(working_as, '') not in ('BPU', 'PU')"),
    ] %}
    cast(sum(case when {{ condition }} then 1 else 0 end) as bigint) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
from residents
group by period_start, ranking, kemendagri_code
