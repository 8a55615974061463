-- Cluster records without a number, of a known birth date.
select * from cluster_records where nik is null and birth is not null
