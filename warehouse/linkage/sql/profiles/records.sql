-- One row per record: which profile it bears, and its own family card.
select record_key, dataset, kk_key, profile from described
