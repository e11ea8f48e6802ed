"""`deeplab-predict --ray`: pictures of a folder or an object store, on all nodes of a Ray cluster.

Needs the extra `cluster`; nothing else in `service.predict` imports Ray.
"""
