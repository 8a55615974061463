/*
Families by rank, stunted child and uncovered breadwinner, for months and quarters. Months stand by kelurahan too, though only
their kecamatan are printed: a quarter that one month alone tells is that month, and both have to print the same.
*/
select
    period_kind,
    period_start,
    coverage_month,
    case when period_kind = 'quarter' and first_measured_month = measured_month and measured_month = coverage_month
        then coverage_month end as only_month,
    ranking,
    {{ desil_class('desil') }} as desil_class,
    kemendagri_code,
    {{- count_families(['all', 'not_applicable'] + answers(), answers() + ['not_applicable']) }}
from {{ ref('family_situation') }}
group by 1, 2, 3, 4, 5, 6, 7
