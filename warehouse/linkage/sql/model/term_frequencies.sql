-- Share of the population that bears each name, as Splink looks it up.
select name_key, bearers / cast(getvariable('people') as double) as tf_name_key from name_frequencies
