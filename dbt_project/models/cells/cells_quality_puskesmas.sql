-- What a puskesmas has beside the counts of its posyandu: rows that its file lost, and statistics that do not add up.
with measured as (
    select
        fact.puskesmas,
        fact.measured_month as period_start,
        sum(case when file.period_start = fact.measured_month then 1 else 0 end) as in_file_month,
        {{ select_quality_statistics() }}
    from {{ ref('fct_child_measurement') }} as fact
    left join {{ source('ledger', 'deliveries_in_force') }} as file on file.delivery_id = fact.delivery_id
    group by fact.puskesmas, fact.measured_month
)

select
    coalesce(gate.puskesmas, measured.puskesmas) as puskesmas,
    coalesce(gate.measured_month, measured.period_start) as period_start,
    {%- for name in ['rows_put_aside', 'rows_repeated', 'rows_inconsistent', 'rows_implausible', 'rows_invalid',
        'rows_incomplete'] %}
    cast(coalesce(gate.{{ name }}, 0) as bigint) as {{ name }},
    {%- endfor %}
    -- Admitted, and measured in another month than the file's or gone since.
    cast(greatest(
        coalesce(gate.rows_read, 0) - coalesce(gate.rows_put_aside, 0) - coalesce(measured.in_file_month, 0), 0
    ) as bigint) as rows_elsewhere
    {%- for name in quality_statistics() %},
    measured.{{ name }}
    {%- endfor %}
from {{ ref('eppgbm_put_aside') }} as gate
full outer join measured
    on measured.puskesmas = gate.puskesmas and measured.period_start = gate.measured_month
