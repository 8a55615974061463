{{ quality_measures(['posyandu_key', 'puskesmas']) }}
