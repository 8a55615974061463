-- A spread of a handful of scores gives the scores away: twice as many have to stand behind it as elsewhere.
{{ quality_measures(['posyandu_key', 'puskesmas'], statistic_from=2 * var('statistic_minimum')) }}
