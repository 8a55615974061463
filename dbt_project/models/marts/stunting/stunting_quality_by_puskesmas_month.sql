{{ quality_measures(['puskesmas'], with_gate=true) }}
