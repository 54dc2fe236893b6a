FROM python:3.13-slim
COPY wheels /wheels
RUN pip install --no-cache-dir --root-user-action=ignore --no-index --find-links=/wheels textprep==1.2 stemlite==1.0 reportkit==3.4
WORKDIR /app
COPY *.py ./
