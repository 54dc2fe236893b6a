FROM driftbench/science:1
COPY wheels /wheels
RUN pip install --no-cache-dir --root-user-action=ignore --no-index --find-links=/wheels reportkit==3.1
WORKDIR /app
COPY *.py ./
