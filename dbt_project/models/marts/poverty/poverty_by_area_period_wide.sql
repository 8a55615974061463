{{ config(materialized='view') }}
{{ wide_view('poverty_by_area_period', ['ranking', 'desil']) }}
