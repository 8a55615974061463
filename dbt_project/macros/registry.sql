{#
Words of the social registry (DTSEN) that more than one model uses: desil labels, segments and job groups.
The codes are those of the seed dtsen_codebook; never Sakernas digits, where 5 means casual work.
#}

{# Where people stand whose kelurahan nobody knows. #}
{% macro unplaced_code() -%}'{{ var("city") }}.00.0000'{%- endmacro %}

{# The kelurahan; else the unplaced row of the kecamatan; else that of the city. #}
{% macro place(kelurahan, kecamatan) -%}
coalesce({{ kelurahan }}, {{ dbt.concat([kecamatan, "'.0000'"]) }}, {{ unplaced_code() }})
{%- endmacro %}

{#
The city's own desil and P3KE's are second ranks of the same rows: what is no rank, such as housing, schooling, assistance and
reasons, is counted under the first alone, so that no small count is rounded twice. Families and persons by them:
cells_second_ranks.
#}
{% macro is_no_second_rank(ranking) -%}{{ ranking }} not in ('dtsen_kota', 'p3ke'){%- endmacro %}

{# The labels that a second desil may have, besides unknown. #}
{% macro second_ranks() -%}
{{ return(['01', '02', '03', '04', '05', '06', '07', '08', '09', '10', '06-10']) }}
{%- endmacro %}

{#
'1'..'10' -> '01'..'10'; the range 6-10 kept apart; NULL stays unknown and is never the poorest. Any other range says no more
than that a rank exists: unknown.
#}
{% macro desil_label(desil) -%}
case
    when length({{ desil }}) = 1 then {{ dbt.concat(["'0'", desil]) }}
    when length({{ desil }}) = 2 then {{ desil }}
    when replace({{ desil }}, ' ', '') in ('6-10', '06-10') then '06-10'
    else 'unknown'
end
{%- endmacro %}

{#
A column that the contract of a lake table may come to have: NULL until it does, so that what needs it gives no row.
#}
{% macro column_if_contracted(table, column, type) -%}
{%- set found = namespace(name='null') -%}
{%- if execute -%}
    {%- for node in graph.sources.values() if node.source_name == 'lake' and node.name == table and column in node.columns -%}
        {%- set found.name = column -%}
    {%- endfor -%}
{%- endif -%}
cast({{ found.name }} as {{ type }})
{%- endmacro %}

{#
Whether a member's own desil is the family's: 1, 0, or NULL where one is unknown or a range, which decides nothing.
#}
{% macro desil_agrees(member, family) -%}
case
    when length({{ desil_label(member) }}) = 2 and length({{ family }}) = 2
        then case when {{ desil_label(member) }} = {{ family }} then 1 else 0 end
end
{%- endmacro %}

{#
Why a family does not count, or NULL when it does. Status of the entry first, then presence at the last visit. A layout
without a status (Regsosek) has nobody struck off.
#}
{% macro exclusion_reason(registry_status, presence_code, has_status) -%}
case
    when {{ registry_status }} is null and {{ has_status }} then 'status_unknown'
    when {{ registry_status }} = 'DTSEN AKTIF - ASESMEN MENINGGAL' then 'assessed_deceased'
    when {{ registry_status }} <> 'DTSEN AKTIF' then 'inactive'
    when {{ presence_code }} = '2' then 'moved'
    when {{ presence_code }} = '3' then 'deceased'
    when {{ presence_code }} = '4' then 'not_found'
end
{%- endmacro %}

{% macro exclusion_reasons() -%}
{{ return(['status_unknown', 'assessed_deceased', 'inactive', 'moved', 'deceased', 'not_found']) }}
{%- endmacro %}

{#
Segment of Jamsostek that a main job belongs to. BPU = PBPU: own account, with temporary or unpaid help, casual (1, 2, 6, 7).
PU: employers with permanent staff and private employees (3, 4). ASN, TNI, Polri, BUMN (5) mix schemes; unpaid family
workers (8) stand apart.
#}
{% macro worker_segment(status) -%}
case
    when {{ status }} in ('1', '2', '6', '7') then 'BPU'
    when {{ status }} in ('3', '4') then 'PU'
    when {{ status }} = '5' then 'mixed'
    when {{ status }} = '8' then 'unpaid_family'
    else 'unknown'
end
{%- endmacro %}

{# Job group; the first that fits. A casual worker in a household is a domestic worker. #}
{% macro worker_group(status, sector, relation) -%}
case
    when {{ sector }} = '12' and {{ status }} in ('1', '2') then 'trade_own_account'
    when {{ sector }} = '13' and {{ status }} in ('1', '2') then 'transport_own_account'
    when {{ sector }} = '25' or {{ relation }} = '7' then 'domestic_worker'
    when {{ status }} in ('6', '7') then 'casual'
    when {{ status }} is null or {{ sector }} is null then 'unknown'
    else 'other'
end
{%- endmacro %}

{# Jamsostek programmes of the coverage mart: key in the mart -> suffix of the columns that count it. #}
{% macro programmes() -%}
{{ return({
    'any': 'any', 'JKK': 'jkk', 'JKM': 'jkm', 'JHT': 'jht', 'JP': 'jp', 'JKP': 'jkp', 'JKK+JKM': 'jkk_jkm',
}) }}
{%- endmacro %}

{# Whether a comma-separated list holds an item: 'JKK, JKM' holds JKM, 'JKKX' does not hold JKK. NULL for a NULL list. #}
{% macro has_item(list, item) -%}
{{ dbt.concat(["','", "replace(" ~ list ~ ", ' ', '')", "','"]) }} like '%,{{ item }},%'
{%- endmacro %}

{# Segments of a Jamsostek participation; the participants' contract lets no other in. #}
{% macro jamsostek_segments() -%}
{{ return(['PU', 'BPU', 'JAKON', 'PMI']) }}
{%- endmacro %}

{# What makes a card count for a programme, by the suffix of the columns that count it. #}
{% macro card_conditions() -%}
{{ return({
    'any': 'true', 'jkk': 'has_jkk', 'jkm': 'has_jkm', 'jht': 'has_jht', 'jp': 'has_jp', 'jkp': 'has_jkp',
    'jkk_jkm': 'has_jkk and has_jkm',
}) }}
{%- endmacro %}

{# Columns that say which active cards a person holds: for each segment, how many of its cards hold a programme. #}
{% macro card_set() -%}
{%- set names = [] -%}
{%- for segment in jamsostek_segments() -%}
    {%- for suffix in card_conditions() -%}
        {%- set _ = names.append(segment | lower ~ '_' ~ suffix) -%}
    {%- endfor -%}
{%- endfor -%}
{{ return(names) }}
{%- endmacro %}

{# Whether who holds a set of cards holds a programme in a segment ('all' for any): JKK and JKM may stand on two cards. #}
{% macro holds(segment, suffix) -%}
{%- set segments = jamsostek_segments() if segment == 'all' else [segment] -%}
{%- for part in suffix.split('_') -%}
0 < {% for name in segments %}{{ name | lower }}_{{ part }}{{ ' + ' if not loop.last }}{% endfor %}{{ ' and ' if not loop.last }}
{%- endfor -%}
{%- endmacro %}

{# Branches whose people have a column each in cells_branch_participants. #}
{% macro branches() -%}
{{ return(['batuceper', 'cikokol', 'cimone']) }}
{%- endmacro %}
