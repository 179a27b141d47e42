"""Videos."""

from lineal.client.media.video import Video as Video
