"""What more than one test of the architecture goes by."""

HANDLERS_MAY_SEE = {
    "handler",
    "outcome",
    "errors",
    "ports.folders",
    "ports.usage",
    "model",
    "clock",
    "retry",
    "instrumentation",
    "payloads.redaction",
    "sentences",
    "value",
}
