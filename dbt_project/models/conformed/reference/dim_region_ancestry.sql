-- A kelurahan belongs to three areas: itself, its kecamatan, its city.
with kelurahan as (
    select
        region.kemendagri_code,
        region.parent_kemendagri_code as kecamatan_code,
        kecamatan.parent_kemendagri_code as kota_code
    from {{ ref('dim_region') }} as region
    inner join {{ ref('dim_region') }} as kecamatan on kecamatan.kemendagri_code = region.parent_kemendagri_code
    where region.area_level = 'kelurahan'
)

select kemendagri_code, 'kelurahan' as area_level, kemendagri_code as area_code from kelurahan
union all
select kemendagri_code, 'kecamatan', kecamatan_code from kelurahan
union all
select kemendagri_code, 'kota', kota_code from kelurahan
