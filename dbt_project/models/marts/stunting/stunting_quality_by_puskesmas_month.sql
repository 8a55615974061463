{{ quality_measures(['puskesmas'], statistic_from=var('statistic_minimum'), with_gate=true) }}
