-- New BPU members of each kelurahan in the half year from its first session on and before it, out of the cells.
select
    kelurahan.kemendagri_code,
    kelurahan.kecamatan_code,
    kelurahan.is_treated,
    kelurahan.is_neighbour,
    kelurahan.first_held_on,
    kelurahan.window_ends_on,
    coalesce(cells.pbpu, 0) as pbpu,
    coalesce(cells.new_after, 0) as new_after,
    coalesce(cells.new_late_before + cells.new_early_before, 0) as new_before,
    coalesce(cells.new_late_before, 0) as new_late_before,
    coalesce(cells.new_early_before, 0) as new_early_before
from {{ ref('outreach_window') }} as kelurahan
left join {{ ref('cells_outreach_change') }} as cells on cells.kemendagri_code = kelurahan.kemendagri_code
{%- if is_sample() %}
-- Of a sample: where agencies know nobody, nothing can be compared.
where cells.pbpu > 0
{%- endif %}
