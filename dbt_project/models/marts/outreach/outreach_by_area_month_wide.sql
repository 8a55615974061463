{{ config(materialized='view') }}
{{ wide_view('outreach_by_area_month', ['segment']) }}
