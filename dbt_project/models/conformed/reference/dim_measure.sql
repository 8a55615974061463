-- A measure that counts people or families is printed with its small counts rounded to the base.
select *, case when count_of is not null then cast({{ var('disclosure_threshold') }} as bigint) end as rounding_base
from (
    select * from {{ ref('dim_measure_stunting') }}
    union all
    select * from {{ ref('dim_measure_welfare') }}
) as measures
