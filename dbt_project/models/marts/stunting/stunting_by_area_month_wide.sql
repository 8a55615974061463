{{ config(materialized='view') }}
{{ wide_view('stunting_by_area_month', ['source_system', 'area_basis', 'age_group']) }}
