"""An ASGI server that answers by the Open Inference Protocol v2 and plain JSON."""
