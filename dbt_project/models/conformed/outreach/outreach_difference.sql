/*
Difference in differences of new BPU members per 1,000 PBPU over half a year, treated kecamatan against the rest, by kecamatan
sums: of two kelurahan groups the pooled rates are compared. Its chance is judged over every choice of three kecamatan: p is the
share of choices whose difference is at least as large, and the interval holds every constant effect those choices do not reject.

For a choice c, write D(c) for its difference and A(c) for the part of c that is truly treated minus that of the rest. With an
effect t taken out, choice c shows |D(c) - t A(c)| and the true one |D - t|; c speaks for t between (D - D(c)) / (1 - A(c)) and
(D + D(c)) / (1 + A(c)). t stays in the interval while more than 5% of the choices, the true one among them, speak for it.
*/
with kecamatan as (
    select
        kecamatan_code,
        max(cast(is_treated as int)) as is_treated,
        cast(sum(pbpu) as {{ type_double() }}) as pbpu,
        cast(sum(new_after - new_before) as {{ type_double() }}) as gained,
        cast(sum(new_late_before - new_early_before) as {{ type_double() }}) as gained_before,
        count(*) as kelurahan_count
    from {{ ref('outreach_change') }}
    group by kecamatan_code
),

choices as (
    select
        first.kecamatan_code as first_code,
        second.kecamatan_code as second_code,
        third.kecamatan_code as third_code,
        first.is_treated + second.is_treated + third.is_treated as treated_count,
        first.pbpu + second.pbpu + third.pbpu as pbpu,
        first.gained + second.gained + third.gained as gained,
        first.pbpu * first.is_treated + second.pbpu * second.is_treated + third.pbpu * third.is_treated as treated_pbpu,
        first.gained_before + second.gained_before + third.gained_before as gained_before,
        first.kelurahan_count + second.kelurahan_count + third.kelurahan_count as kelurahan_count
    from kecamatan as first
    inner join kecamatan as second on second.kecamatan_code > first.kecamatan_code
    inner join kecamatan as third on third.kecamatan_code > second.kecamatan_code
),

totals as (
    select
        sum(pbpu) as pbpu,
        sum(gained) as gained,
        sum(gained_before) as gained_before,
        sum(pbpu * is_treated) as treated_pbpu,
        sum(kelurahan_count) as kelurahan_count
    from kecamatan
),

differences as (
    select
        choices.treated_count = 3 as is_actual,
        1000.0 * choices.gained / nullif(choices.pbpu, 0)
            - 1000.0 * (totals.gained - choices.gained) / nullif(totals.pbpu - choices.pbpu, 0) as difference,
        1000.0 * choices.gained_before / nullif(choices.pbpu, 0)
            - 1000.0 * (totals.gained_before - choices.gained_before) / nullif(totals.pbpu - choices.pbpu, 0) as pretrend,
        1.0 * choices.treated_pbpu / nullif(choices.pbpu, 0)
            - 1.0 * (totals.treated_pbpu - choices.treated_pbpu) / nullif(totals.pbpu - choices.pbpu, 0) as treated_share,
        least(choices.pbpu, totals.pbpu - choices.pbpu) as smaller_pbpu,
        choices.kelurahan_count as n_treated,
        totals.kelurahan_count - choices.kelurahan_count as n_control
    from choices
    cross join totals
),

compared as (
    select
        other.is_actual,
        abs(other.difference) >= abs(actual.difference) - 0.000000001 as is_as_large,
        abs(other.pretrend) >= abs(actual.pretrend) - 0.000000001 as is_pretrend_as_large,
        (actual.difference - other.difference) / nullif(1 - other.treated_share, 0) as one_end,
        (actual.difference + other.difference) / nullif(1 + other.treated_share, 0) as other_end
    from differences as other
    cross join (select difference, pretrend from differences where is_actual) as actual
),

ends as (
    select
        least(one_end, other_end) as low,
        greatest(one_end, other_end) as high,
        row_number() over (order by least(one_end, other_end)) as low_rank,
        row_number() over (order by greatest(one_end, other_end) desc) as high_rank
    from compared
    where not is_actual and one_end is not null and other_end is not null
),

tally as (
    select
        count(*) as choice_count,
        sum(case when is_as_large then 1 else 0 end) as as_large_count,
        sum(case when is_pretrend_as_large then 1 else 0 end) as pretrend_as_large_count,
        -- So many other choices must speak for an effect; with fewer it is rejected.
        cast(floor(0.05 * count(*)) as integer) as needed
    from compared
),

spilled as (
    select
        1000.0 * sum(case when is_neighbour then new_after - new_before else 0 end)
            / nullif(sum(case when is_neighbour then pbpu else 0 end), 0)
        - 1000.0 * sum(case when is_neighbour then 0 else new_after - new_before end)
            / nullif(sum(case when is_neighbour then 0 else pbpu end), 0) as spillover,
        least(
            sum(case when is_neighbour then pbpu else 0 end), sum(case when is_neighbour then 0 else pbpu end)
        ) as smaller_pbpu,
        sum(case when is_neighbour then 1 else 0 end) as n_neighbours,
        sum(case when is_neighbour then 0 else 1 end) as n_far
    from {{ ref('outreach_change') }}
    where not is_treated
),

reach as (
    select min(first_held_on) as first_held_on, max(window_ends_on) as window_ends_on from {{ ref('outreach_change') }}
)

select
    reach.first_held_on,
    reach.window_ends_on,
    -- A difference of rates says nothing, and too much of a few, where either side has hardly anybody.
    {%- for name, value in {
        'difference': 'actual.difference',
        'pretrend_gap': 'actual.pretrend',
        'p_permutation': '1.0 * tally.as_large_count / tally.choice_count',
        'p_pretrend': '1.0 * tally.pretrend_as_large_count / tally.choice_count',
        'ci95_low': '(select low from ends where low_rank = tally.needed)',
        'ci95_high': '(select high from ends where high_rank = tally.needed)',
    }.items() %}
    case when actual.smaller_pbpu >= {{ var('statistic_minimum') }} then {{ value }} end as {{ name }},
    {%- endfor %}
    case when spilled.smaller_pbpu >= {{ var('statistic_minimum') }} then spilled.spillover end as spillover,
    cast(tally.choice_count as bigint) as choice_count,
    cast(actual.n_treated as bigint) as n_treated,
    cast(actual.n_control as bigint) as n_control,
    cast(spilled.n_neighbours as bigint) as n_neighbours,
    cast(spilled.n_far as bigint) as n_far
from differences as actual
cross join tally
cross join spilled
cross join reach
where actual.is_actual
