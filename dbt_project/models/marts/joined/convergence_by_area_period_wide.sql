{{ config(materialized='view') }}
{{ wide_view('convergence_by_area_period', ['desil_threshold', 'low_desil', 'stunted_child', 'uncovered_breadwinner']) }}
