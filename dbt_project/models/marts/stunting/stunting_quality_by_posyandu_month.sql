-- A spread of a handful of scores gives the scores away, and a share of them whose they are: twice as many have to stand
-- behind a spread as elsewhere, and as many as elsewhere behind a spread behind a share.
{{ quality_measures(['posyandu_key', 'puskesmas'], statistic_from=2 * var('statistic_minimum'),
    share_from=var('statistic_minimum')) }}
