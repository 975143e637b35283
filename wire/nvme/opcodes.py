"""Opcodes and the small selector values of NVMe commands, as the documents name them.

Plain `IntEnum`s for building commands, tables and text. Nothing here is made while a packet is decoded: codecs return
integers, and a core looks them up in a dict of its own.

Follows NVM Express Base 2.0 (3.1.2, 5, 7), NVM Command Set 1.0 (3) and NVMe over Fabrics (3, 6).
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class AdminOpcode(IntEnum):
    """Opcodes of the admin queue (NVMe Base 2.0 figure 138)."""

    GET_LOG_PAGE = 0x02
    IDENTIFY = 0x06
    ABORT = 0x08
    SET_FEATURES = 0x09
    GET_FEATURES = 0x0A
    ASYNC_EVENT_REQUEST = 0x0C
    NAMESPACE_MANAGEMENT = 0x0D
    FIRMWARE_COMMIT = 0x10
    FIRMWARE_DOWNLOAD = 0x11
    DEVICE_SELF_TEST = 0x14
    NAMESPACE_ATTACHMENT = 0x15
    KEEP_ALIVE = 0x18
    DIRECTIVE_SEND = 0x19
    DIRECTIVE_RECEIVE = 0x1A
    FABRICS = 0x7F
    FORMAT_NVM = 0x80
    SECURITY_SEND = 0x81
    SECURITY_RECEIVE = 0x82
    SANITIZE = 0x84


class IoOpcode(IntEnum):
    """Opcodes of an I/O queue with the NVM command set (NVM Command Set 1.0 figure 8)."""

    FLUSH = 0x00
    WRITE = 0x01
    READ = 0x02
    WRITE_UNCORRECTABLE = 0x04
    COMPARE = 0x05
    WRITE_ZEROES = 0x08
    DATASET_MANAGEMENT = 0x09
    VERIFY = 0x0C
    RESERVATION_REGISTER = 0x0D
    RESERVATION_REPORT = 0x0E
    RESERVATION_ACQUIRE = 0x11
    RESERVATION_RELEASE = 0x15
    COPY = 0x19
    FABRICS = 0x7F


class FabricsType(IntEnum):
    """FCTYPE, byte 4 of a command with opcode 7Fh (NVMe over Fabrics 3.1)."""

    PROPERTY_SET = 0x00
    CONNECT = 0x01
    PROPERTY_GET = 0x04
    AUTHENTICATION_SEND = 0x05
    AUTHENTICATION_RECEIVE = 0x06
    DISCONNECT = 0x08


class IdentifyCns(IntEnum):
    """CNS, the structure that Identify asks for (NVMe Base 2.0 figure 273)."""

    NAMESPACE = 0x00
    CONTROLLER = 0x01
    ACTIVE_NAMESPACES = 0x02
    NAMESPACE_DESCRIPTORS = 0x03
    NAMESPACE_OF_COMMAND_SET = 0x05
    CONTROLLER_OF_COMMAND_SET = 0x06
    ACTIVE_NAMESPACES_OF_COMMAND_SET = 0x07
    NAMESPACE_INDEPENDENT = 0x08
    ALLOCATED_NAMESPACES = 0x10
    ALLOCATED_NAMESPACE = 0x11
    CONTROLLERS_OF_NAMESPACE = 0x12
    CONTROLLERS = 0x13
    UUID_LIST = 0x17
    COMMAND_SETS = 0x1C


class CommandSet(IntEnum):
    """CSI, the I/O command set identifier (NVMe Base 2.0 figure 274)."""

    NVM = 0
    KEY_VALUE = 1
    ZONED = 2


class LogPage(IntEnum):
    """LID, the log page identifier (NVMe Base 2.0 figure 202)."""

    SUPPORTED_LOGS = 0x00
    ERROR = 0x01
    SMART = 0x02
    FIRMWARE_SLOT = 0x03
    CHANGED_NAMESPACES = 0x04
    COMMAND_EFFECTS = 0x05
    DEVICE_SELF_TEST = 0x06
    TELEMETRY_HOST = 0x07
    TELEMETRY_CONTROLLER = 0x08
    ENDURANCE_GROUP = 0x09
    ANA = 0x0C
    FEATURE_IDS_EFFECTS = 0x12
    MI_COMMAND_EFFECTS = 0x13
    DISCOVERY = 0x70
    RESERVATION_NOTIFICATION = 0x80
    SANITIZE_STATUS = 0x81


class FeatureId(IntEnum):
    """FID, the feature identifier (NVMe Base 2.0 figure 317)."""

    ARBITRATION = 0x01
    POWER_MANAGEMENT = 0x02
    LBA_RANGE_TYPE = 0x03
    TEMPERATURE_THRESHOLD = 0x04
    ERROR_RECOVERY = 0x05
    VOLATILE_WRITE_CACHE = 0x06
    NUMBER_OF_QUEUES = 0x07
    INTERRUPT_COALESCING = 0x08
    INTERRUPT_VECTOR = 0x09
    WRITE_ATOMICITY = 0x0A
    ASYNC_EVENT_CONFIGURATION = 0x0B
    AUTONOMOUS_POWER_STATE = 0x0C
    TIMESTAMP = 0x0E
    KEEP_ALIVE_TIMER = 0x0F
    HOST_BEHAVIOR = 0x16
    COMMAND_SET_PROFILE = 0x19
    HOST_IDENTIFIER = 0x81
    RESERVATION_NOTIFICATION_MASK = 0x82
    RESERVATION_PERSISTENCE = 0x83
    NAMESPACE_WRITE_PROTECT = 0x84


class FeatureSelect(IntEnum):
    """SEL of Get Features, which value is meant (NVMe Base 2.0 figure 192)."""

    CURRENT = 0
    DEFAULT = 1
    SAVED = 2
    SUPPORTED = 3


class Psdt(IntEnum):
    """PSDT, bits 7-6 of a command's flags; fabrics commands and commands over fabrics use SGL."""

    PRP = 0
    SGL = 1
    SGL_METADATA_SEGMENT = 2


class Fuse(IntEnum):
    """FUSE, bits 1-0 of a command's flags."""

    NORMAL = 0
    FIRST = 1
    SECOND = 2


class ConnectAttribute(IntFlag):
    """CATTR of Connect above its two priority bits (NVMe over Fabrics 3.3)."""

    DISABLE_SQ_FLOW_CONTROL = 1 << 2
    INDIVIDUAL_IO_QUEUE_DELETION = 1 << 3


class DatasetAttribute(IntFlag):
    """CDW11 of Dataset Management (NVM Command Set 1.0 figure 38)."""

    INTEGRAL_READ = 1 << 0
    INTEGRAL_WRITE = 1 << 1
    DEALLOCATE = 1 << 2


class EventType(IntEnum):
    """Type of an asynchronous event, bits 2-0 of its DW0 (NVMe Base 2.0 figure 147)."""

    ERROR = 0
    SMART = 1
    NOTICE = 2
    COMMAND_SET = 6
    VENDOR = 7


class SmartEvent(IntEnum):
    """Information of a SMART / health status event, bits 15-8 of its DW0 (NVMe Base 2.0 figure 149)."""

    RELIABILITY = 0x00
    TEMPERATURE_THRESHOLD = 0x01
    SPARE_BELOW_THRESHOLD = 0x02


class NoticeEvent(IntEnum):
    """Information of a notice, bits 15-8 of an asynchronous event's DW0 (NVMe Base 2.0 figure 150)."""

    NAMESPACE_ATTRIBUTE = 0x00
    FIRMWARE_ACTIVATION = 0x01
    TELEMETRY = 0x02
    ANA_CHANGE = 0x03
    PREDICTABLE_LATENCY = 0x04
    LBA_STATUS = 0x05
    ENDURANCE_GROUP = 0x06
    DISCOVERY_CHANGE = 0xF0


class CommandSetEvent(IntEnum):
    """Information of an event of type 6, bits 15-8 of its DW0 (NVMe Base 2.0 figure 151)."""

    RESERVATION_LOG = 0x00
    SANITIZE_COMPLETED = 0x01


class EventConfiguration(IntFlag):
    """CDW11 of feature 0Bh and Identify's OAES (NVMe Base 2.0 figure 326)."""

    SMART_SPARE = 1 << 0
    SMART_TEMPERATURE = 1 << 1
    SMART_RELIABILITY = 1 << 2
    SMART_READ_ONLY = 1 << 3
    SMART_VOLATILE_MEMORY = 1 << 4
    NAMESPACE_ATTRIBUTE = 1 << 8
    FIRMWARE_ACTIVATION = 1 << 9
    TELEMETRY = 1 << 10
    ANA_CHANGE = 1 << 11
    DISCOVERY_CHANGE = 1 << 31


class CriticalWarning(IntFlag):
    """Critical Warning of the SMART log (NVMe Base 2.0 figure 207); feature 0Bh has the same bits for their events."""

    SPARE = 1 << 0
    TEMPERATURE = 1 << 1
    RELIABILITY = 1 << 2
    READ_ONLY = 1 << 3
    VOLATILE_MEMORY = 1 << 4


class ThresholdType(IntEnum):
    """THSEL of feature 04h: which side of the temperature a threshold is on."""

    OVER = 0
    UNDER = 1


FLAGS_SGL = Psdt.SGL << 6
"""Flags of every command over fabrics: SGLs, not fused."""

NSID_BROADCAST = 0xFFFFFFFF
"""All namespaces."""

CNTLID_DYNAMIC = 0xFFFF
"""CNTLID in Connect on an admin queue, and in a discovery entry: the controller is chosen by the subsystem."""

DISCOVERY_NQN = "nqn.2014-08.org.nvmexpress.discovery"
"""The well-known NQN of a discovery subsystem (NVMe Base 2.0 4.5)."""

NQN_MAX_BYTES = 223
"""Longest NQN in bytes, without the NUL that ends it (NVMe Base 2.0 4.5)."""
