{# A kelurahan code that always exists in dim_region: unknown kelurahan and kecamatan become their unplaced areas. #}
{% macro placed_kelurahan(kelurahan_code, kecamatan_code) -%}
coalesce(
    {{ kelurahan_code }},
    {{ dbt.concat([kecamatan_code, "'.0000'"]) }},
    '{{ var("city") }}.00.0000'
)
{%- endmacro %}
