select * from {{ ref('dim_measure_stunting') }}
union all
select * from {{ ref('dim_measure_welfare') }}
