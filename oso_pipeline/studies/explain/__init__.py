"""Why a pixel of the map got its class."""
