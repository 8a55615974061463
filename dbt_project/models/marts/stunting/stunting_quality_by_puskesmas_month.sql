{{ quality_measures(['puskesmas']) }}
