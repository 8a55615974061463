{{ config(materialized='view') }}
{{ wide_view('coverage_by_area_month', ['scheme', 'area_basis', 'segment', 'programme', 'worker_group']) }}
