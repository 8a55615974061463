{{ config(materialized='view') }}
{{ wide_view('assistance_by_area_period', ['ranking', 'desil', 'programme']) }}
