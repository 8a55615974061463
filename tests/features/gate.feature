Feature: A file from a puskesmas is judged before it counts
  A file is accepted, accepted with some rows set aside, or held. Nothing is lost: every row of the file is accounted
  for, and whoever has to act is told which row, which rule and what to do.

  Background:
    Given an e-PPGBM file for October 2026 with 8 children that follows every rule

  Scenario: A clean file counts whole
    When the gate judges the file
    Then the file is accepted
    And 8 rows count, 0 are set aside and 0 are refused

  Scenario Outline: A faulty row is set aside and the other rows count
    Given row 4 of the file says "<value>" under "<header>"
    When the gate judges the file
    Then the file is accepted with rows set aside
    And 7 rows count, 1 are set aside and 0 are refused
    And row 4 is set aside by rule <rule>, because <because>

    Examples:
      | header             | value        | rule                            | because                            |
      | NIK                | 3,67101E+15  | EPPGBM-001                      | a spreadsheet mangled the number   |
      | JK                 | X            | KEMENKES__EPPGBM-CODE-jk        | nobody knows this code             |
      | Nama               |              | KEMENKES__EPPGBM-REQUIRED-nama  | the name was left empty            |
      | Tgl Lahir          | 31/02/2024   | KEMENKES__EPPGBM-TYPE-tgl_lahir | no such day exists                 |
      | Berat              | 9500         | EPPGBM-010                      | grams stand where kilograms should |
      | Tanggal Pengukuran | 2026-12-24   | EPPGBM-008                      | the day is in the future           |
      | Desa/Kel           | Kampung Maya | EPPGBM-013                      | the city has no such kelurahan     |

  Scenario: A child entered twice for the same day
    Given row 5 of the file repeats row 4
    When the gate judges the file
    Then the file is accepted with rows set aside
    And row 4 is set aside by rule EPPGBM-006
    And row 5 is set aside by rule EPPGBM-006

  Scenario: A warning is counted but takes no row away
    Given every row of the file says "02022**********" under "NIK"
    When the gate judges the file
    Then the file is accepted
    And 8 rows count, 0 are set aside and 0 are refused
    And rule EPPGBM-103 warns

  Scenario: The file of another month is held
    Given every row of the file says "2026-08-05" under "Tanggal Pengukuran"
    When the gate judges the file
    Then the file is held because of EPPGBM-104
    And 0 rows count, 0 are set aside and 8 are refused
    And the message says what to do

  Scenario: A person admits a held file
    Given every row of the file says "2026-08-05" under "Tanggal Pengukuran"
    When a person has admitted the file and the gate judges it again
    Then the file is accepted
    And rule EPPGBM-104 is on record as failed

  Scenario: No row is left
    Given every row of the file says "X" under "JK"
    When the gate judges the file
    Then the file is held because of GATE_NO_ROWS_LEFT
    And 0 rows count, 8 are set aside and 0 are refused

  Scenario: The agreement with the agency has ended
    Given the agreement ended on 2026-10-31
    When the gate judges the file
    Then the file is held because of AGREEMENT_EXPIRED

  Scenario: Not one rule was run
    Given no rule can be run
    When the gate judges the file
    Then the file is held because of GATE_NO_CHECKS

  Scenario: One puskesmas' faults do not touch another's file
    Given every row of the file says "X" under "JK"
    And a second puskesmas' file that follows every rule
    When the gate judges both files
    Then the file is held because of GATE_NO_ROWS_LEFT
    And the second file is accepted
