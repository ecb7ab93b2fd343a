"""OpenAI's protocol in front of fork-join decoding, over any engine: `threadweaver serve`."""
