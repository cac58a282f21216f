[000h 0000   4]                    Signature : "PPTT"    [Processor Properties Topology Table]
[004h 0004   4]                 Table Length : 000000C4
[008h 0008   1]                     Revision : 02
[009h 0009   1]                     Checksum : 4F
[00Ah 0010   6]                       Oem ID : "BOCHS "
[010h 0016   8]                 Oem Table ID : "BXPC    "
[018h 0024   4]                 Oem Revision : 00000001
[01Ch 0028   4]              Asl Compiler ID : "BXPC"
[020h 0032   4]        Asl Compiler Revision : 00000001


[024h 0036   1]                Subtable Type : 00 [Processor Hierarchy Node]
[025h 0037   1]                       Length : 14
[026h 0038   2]                     Reserved : 0000
[028h 0040   4]        Flags (decoded below) : 00000011
                            Physical package : 1
                     ACPI Processor ID valid : 0
                       Processor is a thread : 0
                              Node is a leaf : 0
                    Identical Implementation : 1
[02Ch 0044   4]                       Parent : 00000000
[030h 0048   4]            ACPI Processor ID : 00000000
[034h 0052   4]      Private Resource Number : 00000000

[038h 0056   1]                Subtable Type : 00 [Processor Hierarchy Node]
[039h 0057   1]                       Length : 14
[03Ah 0058   2]                     Reserved : 0000
[03Ch 0060   4]        Flags (decoded below) : 00000010
                            Physical package : 0
                     ACPI Processor ID valid : 0
                       Processor is a thread : 0
                              Node is a leaf : 0
                    Identical Implementation : 1
[040h 0064   4]                       Parent : 00000024
[044h 0068   4]            ACPI Processor ID : 00000000
[048h 0072   4]      Private Resource Number : 00000000

[04Ch 0076   1]                Subtable Type : 00 [Processor Hierarchy Node]
[04Dh 0077   1]                       Length : 14
[04Eh 0078   2]                     Reserved : 0000
[050h 0080   4]        Flags (decoded below) : 0000000E
                            Physical package : 0
                     ACPI Processor ID valid : 1
                       Processor is a thread : 1
                              Node is a leaf : 1
                    Identical Implementation : 0
[054h 0084   4]                       Parent : 00000038
[058h 0088   4]            ACPI Processor ID : 00000000
[05Ch 0092   4]      Private Resource Number : 00000000

[060h 0096   1]                Subtable Type : 00 [Processor Hierarchy Node]
[061h 0097   1]                       Length : 14
[062h 0098   2]                     Reserved : 0000
[064h 0100   4]        Flags (decoded below) : 0000000E
                            Physical package : 0
                     ACPI Processor ID valid : 1
                       Processor is a thread : 1
                              Node is a leaf : 1
                    Identical Implementation : 0
[068h 0104   4]                       Parent : 00000038
[06Ch 0108   4]            ACPI Processor ID : 00000001
[070h 0112   4]      Private Resource Number : 00000000

[074h 0116   1]                Subtable Type : 00 [Processor Hierarchy Node]
[075h 0117   1]                       Length : 14
[076h 0118   2]                     Reserved : 0000
[078h 0120   4]        Flags (decoded below) : 00000011
                            Physical package : 1
                     ACPI Processor ID valid : 0
                       Processor is a thread : 0
                              Node is a leaf : 0
                    Identical Implementation : 1
[07Ch 0124   4]                       Parent : 00000000
[080h 0128   4]            ACPI Processor ID : 00000000
[084h 0132   4]      Private Resource Number : 00000000

[088h 0136   1]                Subtable Type : 00 [Processor Hierarchy Node]
[089h 0137   1]                       Length : 14
[08Ah 0138   2]                     Reserved : 0000
[08Ch 0140   4]        Flags (decoded below) : 00000010
                            Physical package : 0
                     ACPI Processor ID valid : 0
                       Processor is a thread : 0
                              Node is a leaf : 0
                    Identical Implementation : 1
[090h 0144   4]                       Parent : 00000074
[094h 0148   4]            ACPI Processor ID : 00000000
[098h 0152   4]      Private Resource Number : 00000000

[09Ch 0156   1]                Subtable Type : 00 [Processor Hierarchy Node]
[09Dh 0157   1]                       Length : 14
[09Eh 0158   2]                     Reserved : 0000
[0A0h 0160   4]        Flags (decoded below) : 0000000E
                            Physical package : 0
                     ACPI Processor ID valid : 1
                       Processor is a thread : 1
                              Node is a leaf : 1
                    Identical Implementation : 0
[0A4h 0164   4]                       Parent : 00000088
[0A8h 0168   4]            ACPI Processor ID : 00000002
[0ACh 0172   4]      Private Resource Number : 00000000

[0B0h 0176   1]                Subtable Type : 00 [Processor Hierarchy Node]
[0B1h 0177   1]                       Length : 14
[0B2h 0178   2]                     Reserved : 0000
[0B4h 0180   4]        Flags (decoded below) : 0000000E
                            Physical package : 0
                     ACPI Processor ID valid : 1
                       Processor is a thread : 1
                              Node is a leaf : 1
                    Identical Implementation : 0
[0B8h 0184   4]                       Parent : 00000088
[0BCh 0188   4]            ACPI Processor ID : 00000003
[0C0h 0192   4]      Private Resource Number : 00000000
